"""The Qt room: the dock "Denoise", its forms, the plot, the worker, layer ↔ array.

Nothing is imported here, so that the sample data cost no dock and the dock no engine.
"""
