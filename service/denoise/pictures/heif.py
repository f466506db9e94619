"""HEIC, as telephones write it: pillow-heif's reader for Pillow. It keeps to libheif's own limits.

libheif decodes no more pixels than the file's header declares, so that the limits on declared pixels hold here too.
"""

import pillow_heif

FORMAT = "HEIF"

# Only the picture itself is read; the pictures beside it, of depth and the like, would take memory for nothing.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
