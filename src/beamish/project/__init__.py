"""A project: a folder with a pyproject.toml that names an application, its configuration, and what is done with both.

`manifest` finds and reads the project, `configuration` its settings, `skeleton` makes a new one, `session` runs it on a node,
`scripts` runs a file or module there, `checking` tries it as in production, `reload` takes in saved code.
"""
