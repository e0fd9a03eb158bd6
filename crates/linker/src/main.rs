//! Links, or has it done: see the library beside this program.

mod drive;
mod sys;

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firebox_linker::{Request, System, next_in_line};
use libwild::error::Result;
use libwild::{Args, Linker};
use rayon::ThreadPoolBuilder;

/// What the link of a small program against the shared standard library uses.
const HEAP: usize = 5 << 19;

fn main() -> ExitCode {
    let mut words = env::args_os();
    let started_by = words.next().unwrap_or_default();
    let words: Vec<OsString> = words.collect();
    if Path::new(&started_by).file_name() == Some(OsStr::new(drive::NAME)) {
        return drive::drive(&words);
    }
    let search_path = env::var_os("PATH").unwrap_or_default();
    let Some(next) = next_in_line(Path::new(&started_by), &search_path) else {
        return nobody(&started_by);
    };
    let ours = Request::read(&words).zip(System::find(Path::new("/"), &next));
    let next = Next { program: next, words };
    if let Some((request, system)) = ours {
        next.takes_over_when_the_linker_breaks_down(|| {});
        sys::bring_in_heap(HEAP);
        // A linker that said something has not done what another one would have done in silence.
        if link(&request.on(&system)).is_ok_and(|said_something| !said_something) {
            return ExitCode::SUCCESS;
        }
    }
    next.take_over()
}

/// Links in this process, without a thread of its own, and tells whether the linker had a warning.
///
/// One thread is enough for a program of a few files: a second costs more than it saves.
fn link(line: &[String]) -> Result<bool> {
    let mut args = Args::new(|| line.iter())?;
    let said_something = Arc::new(AtomicBool::new(false));
    let says_something = Arc::clone(&said_something);
    args.on_warning(Box::new(move |_| says_something.store(true, Ordering::Relaxed)));
    args.parse(|| line.iter())?;
    let pool = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build()?;
    pool.install(|| -> Result {
        let linker = Linker::new();
        // The file is finished. To give back what was read and computed for it is left to the kernel.
        std::mem::forget(linker.run(&args)?);
        std::mem::forget(linker);
        Ok(())
    })?;
    Ok(said_something.load(Ordering::Relaxed))
}

/// The program behind us, and what it is to be told.
#[derive(Clone)]
struct Next {
    program: PathBuf,
    words: Vec<OsString>,
}

impl Next {
    /// Becomes that program. Returns only when that fails.
    fn take_over(&self) -> ExitCode {
        let error = Command::new(&self.program).args(&self.words).exec();
        failed(&format!("cannot start {}: {error}", self.program.display()))
    }

    /// A mistake of the linker's is nothing that its user can do anything about; the program behind it makes others.
    fn takes_over_when_the_linker_breaks_down(&self, first: impl Fn() + Send + Sync + 'static) {
        let next = self.clone();
        panic::set_hook(Box::new(move |_| {
            first();
            next.take_over();
        }));
    }
}

fn nobody(started_by: &OsStr) -> ExitCode {
    let name = Path::new(started_by).file_name().unwrap_or(started_by);
    failed(&format!("there is no other `{}` on the PATH", name.display()))
}

fn failed(message: &str) -> ExitCode {
    // Nobody is left to be told when even this cannot be written.
    let _ = io::Write::write_all(&mut io::stderr(), format!("firebox-linker: {message}\n").as_bytes());
    ExitCode::FAILURE
}
