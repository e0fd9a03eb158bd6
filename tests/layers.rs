//! Each layer of a cell, left out by itself: something then gets through that the whole does not let through.
//!
//! So no layer is there for show, and one that stops to work is noticed although others stand behind it. Which one is
//! left out is told to a firebox that is built for it, by `FIREBOX_LEAVE_OUT`: the same binary, with nothing left out, is
//! the whole. What gets through is a [`Witness`]; the tables of them are in `layers/`.
//!
//! Firebox runs in PID and mount namespaces of the test's own here, always: a jail with a wall missing may let through
//! what would reach the machine.

#[path = "layers/fence.rs"]
mod fence;
#[path = "layers/jail.rs"]
mod jail;
#[path = "kit/mod.rs"]
mod kit;
#[path = "layers/witness.rs"]
mod witness;

use std::collections::BTreeSet;

use witness::{Witness, check};

/// Checks all of a table, and fails with each layer that has failed.
fn check_all(table: impl Iterator<Item = Witness>) {
    if !kit::is_root("leaving out layers") {
        return;
    }
    let failures: Vec<String> = table.filter_map(|witness| check(&witness).err()).collect();
    assert!(failures.is_empty(), "{} witnesses failed:\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn no_layer_of_a_jail_is_for_show() {
    check_all(jail::around_what_it_sees().chain(jail::around_what_it_does()).chain(jail::around_what_it_takes()));
}

#[test]
fn no_layer_of_a_fence_is_for_show() {
    check_all(fence::all());
}

#[test]
fn every_layer_has_a_witness() {
    let call = kit::firebox().env("FIREBOX_LEAVE_OUT", "no-such-layer").arg("languages").run();
    assert_eq!(call.code(), 2, "{call}");
    let said = call.stderr();
    let names = said.lines().find_map(|line| line.split_once("there are ")).map_or("", |(_, names)| names);
    let there: BTreeSet<&str> = names.split(", ").collect();

    let tables = jail::around_what_it_sees().chain(jail::around_what_it_does()).chain(jail::around_what_it_takes());
    let witnessed: BTreeSet<&str> = tables.chain(fence::all()).map(|witness| witness.layer).collect();
    assert_eq!(there, witnessed, "layers that there are, and layers with a witness");
}

#[test]
fn where_everybody_is_the_machine_nothing_is_left_out() {
    if std::fs::read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace.as_os_str() != "pid:[4026531836]") {
        return kit::skip("leaving out layers on a host", "these tests run in a PID namespace of their own");
    }
    let host = kit::HostInventory::take();
    let call = kit::job("bash", "echo ran").env("FIREBOX_LEAVE_OUT", "pid-namespace").run();
    assert_eq!((call.code(), call.stdout().as_str()), (2, ""), "{call}");
    assert!(call.stderr().contains("does not start here"), "{call}");
    host.assert_nothing_left();
}
