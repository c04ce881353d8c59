"""The tables of revision 0001, as they were then. Never changed: later revisions alter them."""
