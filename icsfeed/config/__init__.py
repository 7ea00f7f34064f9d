"""Configuration: feeds.yaml, the environment and files of secrets, to checked values."""
