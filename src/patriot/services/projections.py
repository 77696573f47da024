"""Every read model of the platform, by the service that keeps it."""
