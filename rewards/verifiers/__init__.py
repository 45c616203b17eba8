"""The rewards of this package, one file each."""
