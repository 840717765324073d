class Pipeline:
    pass
