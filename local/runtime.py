"""The program of a function's process: AWS's runtime client. The function's AWS clients wait longer than on AWS.

On a busy machine the emulator answers later than AWS ever does. A call that is repeated then may be done twice: the
second of two conditional writes fails, for example. The function's own time limit holds all the same.
"""

import sys

from awslambdaric.__main__ import main
from backup_webhooks.aws import clients
from botocore.config import Config

clients.CONFIG = clients.CONFIG.merge(Config(connect_timeout=60, read_timeout=60))
main(sys.argv)
