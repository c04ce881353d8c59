"""Learning: encoding, designs, Gaussian processes and acquisition. Imports torch; only workers import this."""
