"""What the server reports about itself, and the administrator endpoints."""
