"""Servers that play Google and Airtable, and behave as documented."""
