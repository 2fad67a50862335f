"""Making the folder of a new job, from templates that come with the package."""
