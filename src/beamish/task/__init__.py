"""Tasks: work in processes of its own, whose results are awaited."""

from beamish.task.results import Exited, MaxChildren, Ok, Outcome, TaskFailed, TaskTimeout
from beamish.task.stream import Stream
from beamish.task.supervisor import TaskSupervisor
from beamish.task.task import Task

__all__ = ["Exited", "MaxChildren", "Ok", "Outcome", "Stream", "Task", "TaskFailed", "TaskSupervisor", "TaskTimeout"]
