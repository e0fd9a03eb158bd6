//! Does what a compiler's driver would do, by the commands that the driver has said beforehand: see `Chain`.
//!
//! ```text
//! compiler --assembly language--> assembler --object--> linked in here --> done
//!     |                               |                    |
//!     |                               |                    `-- not ordinary, or not done in silence: the system's linker
//!     `-- ends with 1: its words are what the driver would have passed on, and so are that linker's
//!     `-- anything else --------------'----------------------------------------> the driver, from the beginning
//! ```
//!
//! Nothing that is said on the way is passed on before it is known that the driver would have said the same.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use firebox_linker::{Chain, Warned, is_ordinary};

use crate::{Next, failed, link};

/// The name that this program does this under.
pub(crate) const NAME: &str = "driver";

/// What the files end in that hold the words of the compiler and of the assembler, beside the object.
const SAID: &str = "said";
const WARNED: &str = "warned";

/// How a compiler or a linker ends for which the code is wrong.
const WRONG: i32 = 1;

/// Makes the program, or becomes the driver that does.
pub(crate) fn drive(words: &[OsString]) -> ExitCode {
    let Some(chain) = Chain::read(words) else { return failed("these are no commands that make a program") };
    let Some((program, arguments)) = chain.driver.split_first() else { return failed("there is no driver") };
    let next = Next { program: program.into(), words: arguments.to_vec() };
    let own = chain.object.to_string_lossy();
    let warned = Warned::by(chain.ours.get(1..).unwrap_or_default(), &own);
    let left = chain.clone();
    next.takes_over_when_the_linker_breaks_down(move || tidy(&left));
    // Ahead of its job, this process gets as far as to here.
    if File::open(".").is_err() {
        return next.take_over();
    }
    let made = warned.and_then(|warned| make(&chain, &warned).ok().flatten());
    tidy(&chain);
    match made {
        Some(Made::Program { said }) if say(&said).is_ok() => ExitCode::SUCCESS,
        Some(Made::Nothing { said }) if say(&said).is_ok() => ExitCode::from(WRONG as u8),
        _ => {
            let _ = fs::remove_file(&chain.program);
            next.take_over()
        }
    }
}

/// Removes what is of no use to anybody else: a job finds its temporary directory empty.
fn tidy(chain: &Chain) {
    for end in [SAID, WARNED] {
        let _ = fs::remove_file(chain.object.with_extension(end));
    }
    let _ = fs::remove_file(&chain.object);
}

/// What has come of it, where that is what the driver would have made of it.
enum Made {
    /// The program, and what was said on the way.
    Program { said: Vec<u8> },
    /// Nothing, for the reasons that were given.
    Nothing { said: Vec<u8> },
}

fn make(chain: &Chain, warned: &Warned) -> io::Result<Option<Made>> {
    let (compilers, assemblers) = (Words::new(&chain.object, SAID)?, Words::new(&chain.object, WARNED)?);
    let mut compiler = start(&chain.compiler, Stdio::null(), Stdio::piped(), &compilers, &[])?;
    let assembly = compiler.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let assembler = start(&chain.assembler, assembly, Stdio::null(), &assemblers, &[]);
    let assembled = assembler.and_then(|mut assembler| assembler.wait());
    // The compiler has said all of it by now, and is only taking leave; so there is a linker's time to wait for that.
    let assembled = assembled.is_ok_and(|status| status.success()) && assemblers.silent();
    let linked = assembled
        && !has_failed(&mut compiler)?
        && is_ordinary(&fs::read(&chain.object)?, warned)
        && link(&chain.ours).is_ok_and(|said_something| !said_something);
    let compiled = compiler.wait()?;
    if !linked || !compiled.success() {
        let _ = fs::remove_file(&chain.program);
    }
    let last = match (compiled.success(), assembled, linked) {
        (false, ..) | (true, true, true) => compiled,
        (true, true, false) => {
            start(&chain.linker, Stdio::null(), Stdio::inherit(), &compilers, &chain.variables)?.wait()?
        }
        (true, false, _) => return Ok(None),
    };
    let said = compilers.take()?;
    Ok(match last.code() {
        Some(0) => Some(Made::Program { said }),
        Some(WRONG) => Some(Made::Nothing { said }),
        _ => None,
    })
}

fn has_failed(compiler: &mut Child) -> io::Result<bool> {
    Ok(compiler.try_wait()?.is_some_and(|ended: ExitStatus| !ended.success()))
}

fn start(
    command: &[OsString],
    input: Stdio,
    output: Stdio,
    words: &Words,
    variables: &[(OsString, OsString)],
) -> io::Result<Child> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().cloned());
    command.stdin(input).stdout(output).stderr(words.file.try_clone()?).spawn()
}

/// What a command says, held back until it is known whether it counts.
struct Words {
    path: PathBuf,
    file: File,
}

impl Words {
    fn new(beside: &Path, end: &str) -> io::Result<Words> {
        let path = beside.with_extension(end);
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(Words { path, file })
    }

    fn silent(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.len() == 0)
    }

    fn take(&self) -> io::Result<Vec<u8>> {
        if self.silent() { Ok(Vec::new()) } else { fs::read(&self.path) }
    }
}

fn say(said: &[u8]) -> io::Result<()> {
    io::stderr().write_all(said)
}
