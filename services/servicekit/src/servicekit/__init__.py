"""What the platform's Python services share."""
