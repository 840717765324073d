"""Compares each framework's natural, handwritten program with ours of the same network.

Run where the framework is: `python3 -m tests.bench.twins.FRAMEWORK` prints one JSON object per
comparison. These modules run on Python 3.9 and, for `tensorflow1-cpu`, 3.7.
"""
