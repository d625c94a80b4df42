"""The whole service on one machine: the template's resources in an embedded moto server, its functions as processes."""
