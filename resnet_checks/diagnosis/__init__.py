"""What can be found out about a model from outside."""

from resnet_checks.diagnosis.findings import Diagnosis, Finding
from resnet_checks.diagnosis.whole import diagnose

__all__ = ["Diagnosis", "Finding", "diagnose"]
