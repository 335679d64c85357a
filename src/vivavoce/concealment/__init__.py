"""What is played where nothing was received."""
