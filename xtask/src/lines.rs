//! What a program says, line by line as it comes, so that whoever listens can do so for a while only.

use std::io::{BufRead, BufReader, PipeReader};
use std::sync::mpsc::{Receiver, Sender, channel};

/// The lines as they come. The thread ends with the pipe; when something holds the pipe open, with our process.
pub(crate) fn lines_of(reader: PipeReader) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || send_lines(reader, &sender));
    receiver
}

fn send_lines(reader: PipeReader, sender: &Sender<String>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    // Tests may print anything: a byte that is no UTF-8 must not end the reading.
    while reader.read_until(b'\n', &mut line).is_ok_and(|length| 0 < length) {
        let text = String::from_utf8_lossy(&line);
        if sender.send(text.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
            return;
        }
        line.clear();
    }
}
