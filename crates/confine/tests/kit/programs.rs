//! Programs that use much of what their languages have, and the tools that make and run them.
//!
//! `toolchains` runs them under the filter; `denied` looks at each system call that they make there.

use std::process::Command;

use super::Cell;

/// A program, and how it comes to run.
pub(crate) struct Program {
    /// The tool that must be there.
    pub(crate) tool: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// One after the other, each with a word for what runs then.
    pub(crate) commands: &'static [(&'static str, &'static [&'static str])],
    /// What the last of them prints.
    pub(crate) prints: &'static str,
}

impl Program {
    /// Whether its tool is there. One that is not has nothing to be tested, which is said so.
    pub(crate) fn is_present(&self) -> bool {
        let found = Command::new(self.tool).arg("--version").output().is_ok_and(|it| it.status.success());
        if !found {
            println!("skipped: {} under the filter: it is not installed here", self.tool);
        }
        found
    }

    /// A cell with its files.
    pub(crate) fn cell(&self) -> Cell {
        let cell = Cell::new();
        for (name, text) in self.files {
            std::fs::write(cell.work.path().join(name), text).expect("a file in a directory of ours");
        }
        cell
    }
}

pub(crate) const RUST: Program = Program {
    tool: "rustc",
    files: &[(
        "main.rs",
        r#"
        use std::collections::HashMap;
        use std::io::{Read, Write};
        use std::net::{TcpListener, TcpStream, UdpSocket};
        fn main() {
            let sum: u64 = (0..4).map(|i| std::thread::spawn(move || i)).map(|t| t.join().unwrap()).sum();
            let map: HashMap<u64, u64> = (0..100).map(|i| (i, i)).collect();
            std::fs::create_dir("d").unwrap();
            std::fs::write("d/a", "text").unwrap();
            std::fs::copy("d/a", "d/b").unwrap();
            std::fs::rename("d/b", "c").unwrap();
            std::fs::remove_dir_all("d").unwrap();
            std::io::copy(&mut std::fs::File::open("c").unwrap(), &mut std::fs::File::create("e").unwrap()).unwrap();
            let child = std::process::Command::new("echo").arg("child").output().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.set_nodelay(true).unwrap();
            client.set_read_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
            let mut server = listener.accept().unwrap().0;
            client.write_all(b"net").unwrap();
            drop(client);
            let mut text = String::new();
            server.read_to_string(&mut text).unwrap();
            UdpSocket::bind("127.0.0.1:0").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(1));
            println!("{sum} {} {} {text}", map.len(), String::from_utf8_lossy(&child.stdout).trim());
        }
        "#,
    )],
    commands: &[("rustc", &["rustc", "--edition=2024", "-O", "main.rs"]), ("a program in Rust", &["./main"])],
    prints: "6 100 child net\n",
};

pub(crate) const RUST_TESTS: Program = Program {
    tool: "rustc",
    files: &[("lib.rs", "#[test] fn a() {} #[test] #[should_panic] fn b() { panic!() }")],
    commands: &[
        ("rustc", &["rustc", "--edition=2024", "--test", "lib.rs", "-o", "tests"]),
        ("tests in Rust", &["bash", "-c", "./tests | grep -o '2 passed'"]),
    ],
    prints: "2 passed\n",
};

pub(crate) const C: Program = Program {
    tool: "gcc",
    files: &[(
        "main.c",
        r#"
        #include <pthread.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <sys/wait.h>
        #include <sys/shm.h>
        #include <unistd.h>
        static void *work(void *x) { return x; }
        int main(void) {
            pthread_t t; void *r; int status;
            pthread_create(&t, 0, work, "thread"); pthread_join(t, &r);
            if (!fork()) _exit(7);
            wait(&status);
            int id = shmget(IPC_PRIVATE, 4096, 0600); shmctl(id, IPC_RMID, 0);
            fflush(stdout);
            if (system("echo shell")) return 1;
            printf("%s %d\n", (char *)r, WEXITSTATUS(status));
        }
        "#,
    )],
    commands: &[("gcc", &["gcc", "-O2", "-Wall", "-pthread", "main.c", "-o", "main"]), ("a program in C", &["./main"])],
    prints: "shell\nthread 7\n",
};

pub(crate) const CPP: Program = Program {
    tool: "g++",
    files: &[(
        "main.cpp",
        r#"
        #include <filesystem>
        #include <future>
        #include <iostream>
        #include <stdexcept>
        int main() {
            auto f = std::async(std::launch::async, [] { return 42; });
            std::filesystem::create_directories("x/y"); std::filesystem::copy("main.cpp", "x/y/c"); std::filesystem::remove_all("x");
            try { throw std::runtime_error("caught"); } catch (std::exception &e) { std::cout << e.what() << ' '; }
            std::cout << f.get() << std::endl;
        }
        "#,
    )],
    commands: &[
        ("g++", &["g++", "-std=c++17", "-O1", "-pthread", "main.cpp", "-o", "main"]),
        ("a program in C++", &["./main"]),
    ],
    prints: "caught 42\n",
};

pub(crate) const PYTHON: Program = Program {
    tool: "python3",
    files: &[(
        "main.py",
        r#"
import asyncio, hashlib, multiprocessing, os, shutil, socket, subprocess, sys, tempfile, threading, time

def square(x): return x * x

async def network():
    async def serve(reader, writer):
        writer.write(await reader.read(3)); await writer.drain(); writer.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"net"); data = await reader.read(); writer.close(); server.close()
    process = await asyncio.create_subprocess_exec("echo", "sub", stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    return data.decode() + out.decode().strip()

if __name__ == "__main__":
    t = threading.Thread(target=time.sleep, args=(0.01,)); t.start(); t.join()
    out = subprocess.run(["sh", "-c", "echo shell"], capture_output=True, text=True).stdout.strip()
    with multiprocessing.Pool(2) as pool: squares = pool.map(square, range(4))
    multiprocessing.get_context("spawn").Process(target=square, args=(1,)).start()
    with tempfile.NamedTemporaryFile() as f: f.write(b"x" * 100000); f.flush(); shutil.copy(f.name, "copy")
    os.mkfifo("fifo"); os.symlink("copy", "link"); os.chmod("copy", 0o700)
    a, b = socket.socketpair(); a.send(b"pair")
    print(out, squares, asyncio.run(network()), b.recv(4).decode(), hashlib.sha256(os.urandom(9)).digest_size)
"#,
    )],
    commands: &[("python", &["python3", "main.py"])],
    prints: "shell [0, 1, 4, 9] netsub pair 32\n",
};

pub(crate) const NODE: Program = Program {
    tool: "node",
    files: &[(
        "main.js",
        r#"
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (!isMainThread) { parentPort.postMessage('worker'); return; }
const fs = require('fs'), net = require('net'), crypto = require('crypto'), child = require('child_process');
(async () => {
  const seen = [];
  seen.push(await new Promise(r => new Worker(__filename).on('message', r)));
  seen.push(child.execSync('echo child').toString().trim());
  seen.push(await new Promise(r => child.execFile('echo', ['later'], (e, out) => r(out.trim()))));
  fs.writeFileSync('a', 'x'.repeat(100000)); fs.copyFileSync('a', 'b'); await fs.promises.cp('b', 'c');
  const watcher = fs.watch('.'); watcher.close();
  seen.push((await fs.promises.readFile('c')).length);
  seen.push(await new Promise(r => {
    const server = net.createServer(s => s.end('net')).listen(0, '127.0.0.1', () =>
      net.connect(server.address().port, '127.0.0.1').setNoDelay().setKeepAlive(true).on('data', d => { r(d.toString()); server.close(); }));
  }));
  seen.push((await new Promise((r, f) => crypto.scrypt('p', 's', 8, (e, k) => e ? f(e) : r(k)))).length);
  await new Promise(r => setTimeout(r, 5));
  console.log(seen.join(' '));
})();
"#,
    )],
    commands: &[("node", &["node", "main.js"])],
    prints: "worker child later 100000 net 8\n",
};

pub(crate) const BASH: Program = Program {
    tool: "bash",
    files: &[],
    commands: &[(
        "bash and coreutils",
        &[
            "bash",
            "-c",
            r#"
        set -euo pipefail
        printf '%s\n' c a b | sort | tee sorted | head -n 2 | tr '\n' ' '
        mkdir -p d/e; cp -a sorted d/e/; mv d/e/sorted d/; ln -s sorted d/link; cp -r d copy; rm -r d
        dd if=/dev/zero of=zeroes bs=1k count=8 status=none; split -b 4k zeroes part; cat part* | cmp - zeroes
        find . -type f | xargs -P2 -n1 sha256sum | wc -l
        while read -r line; do :; done < <(seq 10)
        mkfifo pipe; (echo through > pipe) & cat pipe; wait
        sleep 0.01; timeout 1 true; nice -n 5 true; (ulimit -n 64; ulimit -a > /dev/null)
        stat -c %s zeroes; df . > /dev/null; date > /dev/null; tac sorted | sed -n 1p | awk '{ print $1 }'
    "#,
        ],
    )],
    prints: "a b 5\nthrough\n8192\nc\n",
};

pub(crate) const ALL: [&Program; 7] = [&RUST, &RUST_TESTS, &C, &CPP, &PYTHON, &NODE, &BASH];
