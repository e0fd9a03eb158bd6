//! Which addresses are everybody's: those that a client could reach without us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether this address is one of the public Internet's. What is not known to be is not.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    // The registry of special addresses (RFC 6890 and after), as prefixes.
    const SPECIAL: [(u32, u32); 16] = [
        (0x0000_0000, 8),  // this network
        (0x0a00_0000, 8),  // private
        (0x6440_0000, 10), // shared by customers of a carrier
        (0x7f00_0000, 8),  // loopback
        (0xa9fe_0000, 16), // link-local; where clouds answer questions about their machines
        (0xac10_0000, 12), // private
        (0xc000_0000, 24), // protocol assignments
        (0xc000_0200, 24), // documentation
        (0xc058_6300, 24), // relays of 6to4
        (0xc0a8_0000, 16), // private
        (0xc612_0000, 15), // measurements
        (0xc633_6400, 24), // documentation
        (0xcb00_7100, 24), // documentation
        (0xe000_0000, 4),  // multicast
        (0xf000_0000, 4),  // reserved, and broadcast
        (0xc034_c100, 24), // AMT
    ];
    let bits = ip.to_bits();
    !SPECIAL.iter().any(|&(prefix, length)| bits >> (32 - length) == prefix >> (32 - length))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let bits = ip.to_bits();
    let begins = |prefix: u128, length: u32| bits >> (128 - length) == prefix >> (128 - length);
    // Addresses of version 4 in the dress of version 6: as public as what is inside.
    let inside = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    if begins(0xffff << 32, 96) {
        return is_public_v4(inside(0));
    }
    // Whatever translates these could do it to anything: NAT64 (well-known and local), 6to4, Teredo.
    let translated = [
        (0x0064_ff9b_u128 << 96, 96),
        (0x0064_ff9b_0001_u128 << 80, 48),
        (0x2002_u128 << 112, 16),
        (0x2001_0000_u128 << 96, 32),
    ];
    if translated.iter().any(|&(prefix, length)| begins(prefix, length)) {
        return false;
    }
    // All that is given out lies in 2000::/3; less what is special there.
    let special = [
        (0x2001_u128 << 112, 23),     // protocol assignments, with benchmarking and ORCHID
        (0x2001_0db8_u128 << 96, 32), // documentation
        (0x3fff_u128 << 112, 20),     // documentation
    ];
    begins(0x2000_u128 << 112, 3) && !special.iter().any(|&(prefix, length)| begins(prefix, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_everybody_can_reach_is_public() {
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
