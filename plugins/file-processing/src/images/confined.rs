//! Decodes lossless WebP in a process of its own with a memory limit.
//!
//! The format lets a small file ask for very many code tables, and its decoder bounds them by nothing. Only that process
//! ends where they do not fit; the file then counts as broken.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};

use bytes::Bytes;
use image::{DynamicImage, ImageFormat, ImageReader, RgbImage, RgbaImage};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::images::Header;
use crate::problem::Problem;
use crate::works::Control;

/// The argument that makes this program decode what it reads.
const MODE: &str = "decode-webp";
/// This program.
const PROGRAM: &str = "/proc/self/exe";
/// What the program itself and its libraries map.
const PROGRAM_BYTES: u64 = 160 << 20;
/// The longest that decoding may use a processor, in seconds.
const PROCESSOR_SECONDS: u64 = 60;

/// Ends the other process however the waiting for it ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only where it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads the pixels of a WebP in another process, which may use `memory` bytes for them.
pub(super) fn decode(file: &Bytes, header: &Header, memory: u64, control: &Control) -> Result<DynamicImage, Problem> {
    let failed = |error: std::io::Error| Problem::broken("the image cannot be decoded", error);
    let memory = (memory + PROGRAM_BYTES).to_string();
    let child = Command::new(PROGRAM).args([MODE, &memory]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.map_err(failed)?);
    let (Some(mut input), Some(mut output)) = (running.0.stdin.take(), running.0.stdout.take()) else {
        return Err(Problem::Broken("it made the decoder fail".to_owned()));
    };
    let file = file.clone();
    // It may end without reading everything.
    let writing = std::thread::spawn(move || input.write_all(&file));
    let mut pixels = vec![0; usize::try_from(header.decoded_bytes).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < pixels.len() {
        control.check()?;
        match output.read(&mut pixels[filled..]).map_err(failed)? {
            0 => break,
            read => filled += read,
        }
    }
    let _ = writing.join();
    let status = running.0.wait().map_err(failed)?;
    if !status.success() || filled < pixels.len() {
        let reason = "its lossless data is broken, or asks for more memory than its size explains";
        return Err(Problem::Broken(reason.to_owned()));
    }
    let (width, height) = header.stored;
    let image = if header.has_alpha {
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    image.ok_or_else(|| Problem::Broken("it made the decoder fail".to_owned()))
}

/// Does the other process's part where this program was started for it.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != MODE {
        return None;
    }
    let memory = arguments.next().and_then(|bytes| bytes.parse().ok());
    let done = memory.is_some_and(|memory| confine(memory) && answer().is_some());
    Some(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn confine(memory: u64) -> bool {
    let limit = |resource, value| setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) }).is_ok();
    limit(Resource::As, memory) && limit(Resource::Cpu, PROCESSOR_SECONDS) && limit(Resource::Core, 0)
}

fn answer() -> Option<()> {
    let mut file = Vec::new();
    std::io::stdin().read_to_end(&mut file).ok()?;
    let mut reader = ImageReader::with_format(std::io::Cursor::new(file), ImageFormat::WebP);
    // The limit of the process holds.
    reader.no_limits();
    let image = reader.decode().ok()?;
    let mut output = std::io::stdout().lock();
    output.write_all(image.as_bytes()).ok()?;
    output.flush().ok()
}
