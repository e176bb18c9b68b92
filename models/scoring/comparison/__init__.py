"""What differences between scores say: their errors, bands of rows that are not told apart, orders that disagree."""
