"""The one folder below which a private site lives."""

import atexit
import os
import shutil
import tempfile


class TemporaryFolder:
    """A new folder that every user may pass through; removed at the end.

    Its path is short, since that of a socket may have no more than 107 bytes.
    """

    def __init__(self):
        # Not $TMPDIR: that is often a folder that only its user may enter.
        self.path = tempfile.mkdtemp(prefix="vmailkit-", dir="/tmp")
        os.chmod(self.path, 0o755)
        self._owner = os.getpid()
        atexit.register(self.remove)

    def make(self, name, mode=0o755, owner=(0, 0)):
        """Makes a folder below it, and returns its path."""
        path = os.path.join(self.path, name)
        os.makedirs(path, exist_ok=True)
        os.chown(path, *owner)
        os.chmod(path, mode)
        return path

    def remove(self):
        if os.getpid() == self._owner:
            shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
