"""A problem's space in lab units, as arrays: what holds, and the nearest point where it holds. No cube, no torch."""
