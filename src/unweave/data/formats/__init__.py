"""Readers of the published file formats: each compares what a file claims with what is expected before it reads on."""
