# A base image with a Python that Debian does not package, made by `benchdock images bootstrap
# python:3.7-slim`: the interpreter of the machine, packed, upon a base of Debian's packages.
ARG BASE
FROM ${BASE}
# The interpreter, under /usr/local as in Docker's official images of Python.
ADD interpreter.tar /
ENV LANG=C.UTF-8
# One that was built for a newer C library than the base's dies here.
ARG PYTHON
RUN ldconfig && python${PYTHON} -c 'import ctypes, hashlib, sqlite3, ssl, zlib'
CMD ["bash"]
