"""Who may use the platform: people, roles, status."""
