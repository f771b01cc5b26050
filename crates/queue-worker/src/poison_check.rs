//! Reads messages in a child process, to find a message that kills its reader.
//!
//! The child is this program again. It gets the messages on standard input, each after its length in four
//! bytes, big-endian. It writes one byte to standard output when it is ready, and one for each message it has
//! read. So a child that never was ready died of no message.

use std::{
    io::{self, ErrorKind, Read, Write},
    process::Stdio,
    time::Duration,
};

use pisync_core::{crash::CrashSettings, queue::decode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    time::timeout,
};

/// The timeout of a child. A message that takes longer would stop its worker, too.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the indexes of deadly messages: a child dies on it twice, the second time with that message alone.
///
/// Fails if no child can be started.
pub async fn deadly(messages: &[Vec<u8>], crash: &CrashSettings) -> io::Result<Vec<usize>> {
    let mut deadly = Vec::new();
    let mut next = 0;
    while next < messages.len() {
        next += survived(&messages[next..], crash).await?;
        if next < messages.len() {
            // Alone: the child may have died of something else.
            if survived(&messages[next..=next], crash).await? == 0 {
                deadly.push(next);
            }
            next += 1;
        }
    }
    Ok(deadly)
}

/// Returns the number of messages that a child reads before it dies or the input ends.
async fn survived(messages: &[Vec<u8>], crash: &CrashSettings) -> io::Result<usize> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("probe").args(crash.argument()).kill_on_drop(true);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(ErrorKind::BrokenPipe.into());
    };
    let framed: Vec<u8> = messages.iter().flat_map(|message| [&length(message)[..], message].concat()).collect();
    let mut read = Vec::new();
    let talk = async {
        let write = async {
            // A dead child accepts no more input.
            let _ = input.write_all(&framed).await;
            drop(input);
        };
        tokio::join!(write, output.read_to_end(&mut read)).1
    };
    // A child that hangs is killed when it is dropped.
    let _ = timeout(TIMEOUT, talk).await;
    let survived = read.len().checked_sub(1).ok_or_else(|| io::Error::other("the child process did not start"))?;
    Ok(survived.min(messages.len()))
}

fn length(message: &[u8]) -> [u8; 4] {
    u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// Runs the child: reads until the input ends, or until a message kills it.
pub fn run(crash: &CrashSettings) -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    loop {
        output.write_all(b".")?;
        output.flush()?;
        let mut length = [0; 4];
        match input.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            outcome => outcome?,
        }
        let mut message = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX)];
        input.read_exact(&mut message)?;
        if let Ok(event) = decode(&message) {
            crash.pass_reading(&event.device_id);
        }
    }
}
