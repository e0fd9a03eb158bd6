//! `firebox api`: `serve`, by the name and the flag of those who come from there.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;

use super::ServeArgs;

/// Serves jobs over HTTP: `serve`, by another name.
#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    /// The port of this host's loopback address to listen on; counts before `--listen`, which takes a whole address.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl From<ApiArgs> for ServeArgs {
    fn from(args: ApiArgs) -> ServeArgs {
        let ApiArgs { port, mut serve } = args;
        if let Some(port) = port {
            serve.words.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        serve
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn serve_args(line: &[&str]) -> Result<ServeArgs, String> {
        match Args::try_parse_from([&["firebox", "api"], line].concat()) {
            Ok(Args { command: Command::Api(args) }) => Ok((*args).into()),
            Ok(other) => panic!("not an api: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_port_is_one_of_this_host_alone() {
        let words = serve_args(&["--port", "9000", "--running", "2"]).unwrap().words;
        assert_eq!((words.listen, words.running), (Some("127.0.0.1:9000".parse().unwrap()), Some(2)));
        assert_eq!(serve_args(&[]).unwrap().words.listen, None);
    }

    #[test]
    fn a_port_counts_before_an_address() {
        let both = serve_args(&["--listen", "[::1]:1", "--port", "9000"]).unwrap();
        assert_eq!(both.words.listen, Some("127.0.0.1:9000".parse().unwrap()));
        assert!(serve_args(&["--port", "70000"]).unwrap_err().contains("70000"));
    }
}
