"""From an encoded frame to grey levels on a screen: decoding, look-up tables, rendering, PNG.

PS3.3 C.7.6.3 and C.11, PS3.5 8 and Annex A. Knows no index and no network.
Enter by `frames.read_frame`, `decode.decode` and `render.render`.
"""
