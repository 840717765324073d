"""The version of benchdock."""

VERSION = "0.1.0"
