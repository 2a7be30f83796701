"""Put models onto a Ray Serve cluster, say what is there, take it off: `--help` says how."""

import sys

from model_hooks.cluster.ray_app import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
