//! The witnesses of a fence's layers.

use std::sync::Arc;

use super::jail::{SLOWLY, descriptors, killing_everyone, no_new_privileges, rlimits};
use super::kit::Secret;
use super::witness::Cell::{Fence, UsersFence};
use super::witness::{Without, Witness};

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Witness> {
    let secret = Arc::new(Secret::new());
    let path = secret.path().into_os_string();
    let mut witnesses = vec![
        Witness::shell(Fence, "files-domain", "a file of the host", "read -r line < \"$1\""),
        Witness::python(Fence, "seccomp", "the mode of a file of the host", "", "os.chmod(sys.argv[1], 0o644) is None"),
    ];
    for witness in &mut witnesses {
        witness.args = vec![path.clone()];
        witness.kept.push(Box::new(Arc::clone(&secret)));
    }
    // Root in a container may read whatever it likes, unless that is taken from it.
    let unreadable = "umask 777; echo word > unreadable; read -r line < unreadable";
    let slowly = "256 MiB where 64 were granted";
    let watching = Witness::python(Fence, "watching", slowly, SLOWLY, "slowly()").within(&["--memory", "64M"]);
    // The next step is not begun while the agent has a child that it does not know of.
    let mut killing = killing_everyone(Fence);
    killing.without = Without::Nothing;
    witnesses.extend([
        no_new_privileges(Fence),
        Witness::shell(Fence, "capabilities", "a file whose mode lets nobody read it", unreadable),
        rlimits(Fence),
        descriptors(Fence),
        Witness::shell(Fence, "steps-domain", "the agent can be signalled", "kill -0 $PPID"),
        // A step has no `/proc` to do it by, and is in a domain that the agent is not in.
        Witness::looked_at(
            UsersFence,
            "dumps",
            "the agent's memory, for what else the user runs",
            "setpriv --reuid 65534 --regid 65534 --clear-groups cat /proc/$second/maps && echo ESCAPED",
        ),
        // Without a domain of its own a keeper cannot kill all of a cell, so this is one layer.
        Witness::looked_at(
            Fence,
            "keepers-domain",
            "it lives on after its agent",
            "kill -KILL $second; wait $engine; dies $third || echo ESCAPED",
        ),
        Witness::looked_at(
            Fence,
            "parent-death",
            "it lives on after its keeper, under an engine that is stopped",
            "kill -STOP $engine; kill -KILL $first; dies $second || echo ESCAPED",
        ),
        killing,
        watching,
    ]);
    witnesses.into_iter()
}
