"""Subscribing in one step: links for apps, and profiles for the devices of Apple."""
