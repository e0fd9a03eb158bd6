//! Requests about a cell and their answers, between the numbers of `wire` and what engines speak of.

use std::io;
use std::time::Duration;

use firebox_cell::{CellError, Measured, Past, StepLimits};
use firebox_job::{ByteSize, Enforcement, Protection};
use firebox_wire::warden::{CellReply, CellRequest, Failure, Held};

/// How a step is asked to be limited.
pub fn limit_request(limits: &StepLimits) -> CellRequest {
    let StepLimits { memory, tasks, vcpus, disk, inodes, most } = *limits;
    CellRequest::Limit(firebox_wire::warden::StepLimits {
        memory: memory.as_u64(),
        tasks: tasks.get(),
        vcpus: vcpus.get(),
        disk: disk.as_u64(),
        inodes,
        wall_ms: u64::try_from(most.as_millis()).unwrap_or(u64::MAX),
    })
}

/// What was answered to that.
pub fn enforcement(reply: CellReply) -> Result<Enforcement, CellError> {
    match reply {
        CellReply::Limited(Held { memory, tasks, cpu, disk }) => Ok(Enforcement {
            memory: protection(memory),
            tasks: protection(tasks),
            cpu: protection(cpu),
            disk: protection(disk),
        }),
        CellReply::Failed(failure) => Err(refused(failure)),
        other => Err(unexpected("limit a step", &format!("{other:?}"))),
    }
}

/// What was answered to [`CellRequest::Measure`].
pub fn measured(reply: CellReply) -> Result<Measured, CellError> {
    match reply {
        CellReply::Measured(measured) => {
            let firebox_wire::warden::Measured { cpu_ns, past, memory_peak, oom_kills, starved, disk_full, others } =
                measured;
            let (past, memory_peak) = (past.map(limit_gone_past), memory_peak.map(ByteSize::bytes));
            let cpu = Duration::from_nanos(cpu_ns);
            Ok(Measured { cpu, past, memory_peak, oom_kills, starved, disk_full, others })
        }
        CellReply::Failed(failure) => Err(refused(failure)),
        other => Err(unexpected("measure a step", &format!("{other:?}"))),
    }
}

pub(crate) fn refused(failure: Failure) -> CellError {
    let Failure { stage, errno } = failure;
    CellError::Refused { doing: stage.text(), source: io::Error::from_raw_os_error(errno) }
}

pub(crate) fn unexpected(asked: &'static str, answered: &str) -> CellError {
    CellError::Unexpected { asked, answered: answered.to_owned() }
}

fn protection(held: bool) -> Protection {
    if held { Protection::Enforced } else { Protection::Watched }
}

fn limit_gone_past(past: firebox_wire::warden::Past) -> Past {
    match past {
        firebox_wire::warden::Past::Memory => Past::Memory,
        firebox_wire::warden::Past::Tasks => Past::Tasks,
        firebox_wire::warden::Past::Disk => Past::Disk,
    }
}
