# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""One module per subcommand of `./run` that belongs to no other folder."""
