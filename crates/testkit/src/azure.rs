//! A real server that speaks Azure Blob Storage: Azurite, from npm.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The account every Azurite has.
pub const ACCOUNT: &str = "devstoreaccount1";
/// Its key, which is no secret.
pub const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running server that keeps what it has in memory; dropping it kills it.
pub struct AzureServer {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for AzureServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn azurite() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/tools/azurite/node_modules/.bin/azurite-blob");
    let works =
        |path: &PathBuf| Command::new(path).arg("--version").output().is_ok_and(|out| out.status.success());
    [tools, PathBuf::from("azurite-blob")].into_iter().find(works)
}

impl AzureServer {
    /// Starts a server. When the program is absent this prints that `test` is skipped and answers `None`; with `CI=true` it panics.
    pub fn start(test: &str) -> Option<Self> {
        let Some(azurite) = azurite() else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "no azurite-blob (npm install azurite)");
            println!("skipped: {test}: no program azurite-blob (make setup)");
            return None;
        };
        let dir = tempfile::tempdir().expect("there is room for files");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let mut process = Command::new(azurite)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
            .args(["--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry"])
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it was just run");
        let mut log = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut line = String::new();
        while log.read_line(&mut line).unwrap_or(0) > 0 && !line.contains("successfully listen") {
            line.clear();
        }
        // What it goes on to say must be read, or it would wait for that.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Self { process, port, _dir: dir })
    }

    /// Where the account is.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}
