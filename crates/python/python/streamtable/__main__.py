"""``python -m streamtable``: the command ``streamtable``."""

from ._server import main

if __name__ == "__main__":
    main()
