"""What every account holds and earned, computed from events alone."""
