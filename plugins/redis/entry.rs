//! Starts `redis-server` or `redis-cli` with the password in `REDIS_PASSWORD`, where there is one, without showing it
//! among the arguments of a process: `/entry /redis-server …`, `/entry /redis-cli …`. Replaces itself with the program.

use std::env;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

const VARIABLE: &str = "REDIS_PASSWORD";
/// On the container's tmpfs.
const CONFIGURATION: &str = "/tmp/redis.conf";

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("error: a program is expected: /entry /redis-server …");
        return ExitCode::FAILURE;
    };
    let password = env::var_os(VARIABLE).filter(|password| !password.is_empty());
    let mut command = Command::new(&program);
    if let Some(password) = &password {
        if program == OsStr::new("/redis-server") {
            if let Err(error) = write_configuration(password) {
                eprintln!("error: could not write {CONFIGURATION}: {error}");
                return ExitCode::FAILURE;
            }
            command.arg(CONFIGURATION);
        } else {
            command.env("REDISCLI_AUTH", password);
        }
    }
    let error = command.args(arguments).env_remove(VARIABLE).exec();
    eprintln!("error: could not start {}: {error}", program.display());
    ExitCode::FAILURE
}

/// Every byte is written as a number, so that no password can end its line or its quotes.
fn write_configuration(password: &OsStr) -> io::Result<()> {
    match std::fs::remove_file(CONFIGURATION) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(CONFIGURATION)?;
    let digits: String = password.as_bytes().iter().map(|byte| format!("\\x{byte:02x}")).collect();
    writeln!(file, "requirepass \"{digits}\"")
}
