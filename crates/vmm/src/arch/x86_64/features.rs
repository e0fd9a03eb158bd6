//! Whether a host has every feature that a frozen machine's processors were told of. What a program has found out about its processor it never asks again: one
//! that is missing ends the program, at the first instruction of it, much later.

use std::collections::BTreeSet;

use kvm_bindings::kvm_cpuid_entry2;

use super::cpuid::Register::{self, Eax, Ebx, Ecx, Edx};

/// Why a machine cannot go on with the processors of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtherProcessor {
    /// Kernels choose much by who has made the processor.
    #[error("it was made on a processor of `{theirs}`, and this one is of `{ours}`")]
    Maker {
        /// Of the snapshot.
        theirs: String,
        /// Of this host.
        ours: String,
    },
    /// Kernels choose by the model what they guard against.
    #[error("it was made on a processor of the model {theirs:#x}, and this one is of the model {ours:#x}")]
    Model {
        /// Of the snapshot.
        theirs: u32,
        /// Of this host.
        ours: u32,
    },
    /// Its kernel has been told of fewer flaws.
    #[error(
        "it was made on a processor with fewer flaws than this one has (ARCH_CAPABILITIES {theirs:#x}, and here {ours:#x})"
    )]
    Flawed {
        /// In the snapshot.
        theirs: u64,
        /// On this host.
        ours: u64,
    },
    /// It was told what no guest is.
    #[error("its processors were told of what this host tells no guest (leaf {0:#x} of CPUID)")]
    Told(u32),
    /// A register of the processor's model is unknown.
    #[error("it has something in model-specific register {0:#x}, which there is not here")]
    Register(u32),
    /// A feature is missing.
    #[error("it needs a processor with {0}, which this host's has not, or KVM does not give")]
    Lacks(String),
    /// Addresses are shorter.
    #[error("it needs a processor with {what} addresses of {theirs} bits, and this host's have {ours}")]
    Shorter {
        /// Which of them.
        what: &'static str,
        /// In the snapshot.
        theirs: u32,
        /// On this host.
        ours: u32,
    },
    /// Its counter of time has another speed, and KVM cannot make up for that.
    #[error("it needs a processor whose time counter runs at {theirs} kHz, and this one's runs at {ours}")]
    Speed {
        /// Of the snapshot.
        theirs: u32,
        /// Of this host.
        ours: u32,
    },
}

/// Where features stand, each a bit: leaf, subleaf, register; and the names of those that are known by one, each behind its bit.
type Features = (u32, u32, Register, &'static str);

/// What says nothing of a processor but what its kernel has turned on: leaf, register, bit.
const TURNED_ON: [(u32, Register, u32); 2] = [(1, Ecx, 1 << 27), (7, Ecx, 1 << 4)];

const FEATURES: [Features; 18] = [
    (
        1,
        0,
        Ecx,
        "0 sse3 1 pclmulqdq 9 ssse3 12 fma 13 cx16 17 pcid 19 sse4_1 20 sse4_2 21 x2apic 22 movbe 23 popcnt 24 tsc_deadline_timer 25 aes 26 xsave 28 avx \
         29 f16c 30 rdrand",
    ),
    (1, 0, Edx, "0 fpu 4 tsc 8 cx8 15 cmov 19 clflush 23 mmx 24 fxsr 25 sse 26 sse2"),
    (6, 0, Eax, "2 arat"),
    (
        7,
        0,
        Ebx,
        "0 fsgsbase 1 tsc_adjust 3 bmi1 5 avx2 7 smep 8 bmi2 9 erms 10 invpcid 16 avx512f 17 avx512dq 18 rdseed 19 adx 20 smap 21 avx512ifma 23 clflushopt \
         24 clwb 28 avx512cd 29 sha_ni 30 avx512bw 31 avx512vl",
    ),
    (
        7,
        0,
        Ecx,
        "1 avx512vbmi 2 umip 3 pku 6 avx512_vbmi2 7 shstk 8 gfni 9 vaes 10 vpclmulqdq 11 avx512_vnni 12 avx512_bitalg 14 avx512_vpopcntdq 16 la57 22 rdpid \
         27 movdiri 28 movdir64b",
    ),
    (
        7,
        0,
        Edx,
        "4 fsrm 8 avx512_vp2intersect 10 md_clear 14 serialize 20 ibt 22 amx_bf16 23 avx512_fp16 24 amx_tile 25 amx_int8 26 spec_ctrl 27 intel_stibp \
         28 flush_l1d 29 arch_capabilities 31 spec_ctrl_ssbd",
    ),
    (7, 1, Eax, "4 avx_vnni 5 avx512_bf16 10 fzrm 11 fsrs 12 fsrc 21 amx_fp16 23 avx_ifma"),
    (7, 1, Edx, "4 avx_vnni_int8 5 avx_ne_convert 14 prefetchiti 19 avx10"),
    (7, 2, Edx, ""),
    // The states that are saved with a task, by their numbers, and how.
    (0xD, 0, Eax, "1 sse 2 avx 5 avx512 6 avx512 7 avx512 9 pku 17 amx_tile 18 amx_tile"),
    (0xD, 1, Eax, "0 xsaveopt 1 xsavec 2 xgetbv1 3 xsaves 4 xfd"),
    (0xD, 1, Ecx, ""),
    // What KVM itself offers.
    (
        0x4000_0001,
        0,
        Eax,
        "3 kvmclock 4 kvm_asyncpf 5 kvm_steal_time 6 kvm_pv_eoi 7 kvm_pv_unhalt 9 kvm_pv_tlb_flush 24 kvmclock_stable",
    ),
    (0x8000_0001, 0, Ecx, "0 lahf_lm 5 abm 6 sse4a 8 3dnowprefetch 11 xop 16 fma4 21 tbm 22 topoext"),
    (0x8000_0001, 0, Edx, "11 syscall 20 nx 25 fxsr_opt 26 pdpe1gb 27 rdtscp 29 lm"),
    (0x8000_0007, 0, Edx, "8 invariant_tsc"),
    (0x8000_0008, 0, Ebx, "0 clzero 2 xsaveerptr 9 wbnoinvd 12 ibpb 14 ibrs 15 stibp 24 ssbd 25 virt_ssbd"),
    (0x8000_0021, 0, Eax, "2 lfence_rdtsc 6 nscb 8 autoibrs"),
];

/// The first reason why a processor that was told this cannot go on as one of whom that is true.
pub(super) fn differ(told: &[kvm_cpuid_entry2], here: &[kvm_cpuid_entry2]) -> Result<(), OtherProcessor> {
    let [theirs, ours] = [told, here].map(maker);
    if theirs != ours {
        return Err(OtherProcessor::Maker { theirs, ours });
    }
    let [theirs, ours] = [told, here].map(|entries| find(entries, 1, 0).map_or(0, |entry| entry.eax));
    if theirs != ours {
        return Err(OtherProcessor::Model { theirs, ours });
    }
    for (leaf, subleaf, register, names) in FEATURES {
        let [theirs, ours] =
            [told, here].map(|entries| find(entries, leaf, subleaf).map_or(0, |entry| register.of(entry)));
        let turned_on = TURNED_ON.iter().filter(|(of, in_register, _)| (*of, *in_register) == (leaf, register));
        let missing = turned_on.fold(theirs & !ours, |missing, (_, _, bit)| missing & !bit);
        if missing != 0 {
            let bit = missing.trailing_zeros();
            let unknown = || format!("bit {bit} of {register:?} in leaf {leaf:#x}, {subleaf} of CPUID");
            return Err(OtherProcessor::Lacks(name(bit, names).map_or_else(unknown, |name| format!("`{name}`"))));
        }
    }
    for (what, shift) in [("physical", 0), ("virtual", 8)] {
        let [theirs, ours] =
            [told, here].map(|entries| find(entries, 0x8000_0008, 0).map_or(0, |entry| entry.eax >> shift & 0xFF));
        if ours < theirs {
            return Err(OtherProcessor::Shorter { what, theirs, ours });
        }
    }
    Ok(())
}

/// Whether all that was told is in a place where this host tells something, once, and in the same way: KVM takes the first entry of a leaf whatever its subleaf, unless
/// that says that it counts, so what stands elsewhere could be what a guest is told, past all that is looked at here.
pub(super) fn is_told_alike(told: &[kvm_cpuid_entry2], here: &[kvm_cpuid_entry2]) -> Result<(), OtherProcessor> {
    let mut places = BTreeSet::new();
    for entry in told {
        let is_known = |other: &kvm_cpuid_entry2| {
            (other.function, other.index, other.flags) == (entry.function, entry.index, entry.flags)
        };
        if !places.insert((entry.function, entry.index)) || !here.iter().any(is_known) {
            return Err(OtherProcessor::Told(entry.function));
        }
    }
    Ok(())
}

fn find(entries: &[kvm_cpuid_entry2], leaf: u32, subleaf: u32) -> Option<&kvm_cpuid_entry2> {
    entries.iter().find(|entry| (entry.function, entry.index) == (leaf, subleaf))
}

/// The word behind the bit.
fn name(bit: u32, names: &'static str) -> Option<&'static str> {
    let mut words = names.split_whitespace();
    words.find(|word| word.parse() == Ok(bit))?;
    words.next()
}

/// Twelve letters.
fn maker(entries: &[kvm_cpuid_entry2]) -> String {
    let letters = find(entries, 0, 0).map(|entry| [entry.ebx, entry.edx, entry.ecx].map(u32::to_le_bytes).concat());
    String::from_utf8_lossy(&letters.unwrap_or_default()).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor() -> Vec<kvm_cpuid_entry2> {
        let entry = |function, index| kvm_cpuid_entry2 { function, index, ..kvm_cpuid_entry2::default() };
        let maker = kvm_cpuid_entry2 { ebx: 0x6874_7541, edx: 0x6974_6E65, ecx: 0x444D_4163, ..entry(0, 0) };
        let addresses = kvm_cpuid_entry2 { eax: 0x3030, ..entry(0x8000_0008, 0) };
        let basic = kvm_cpuid_entry2 { ecx: 1 << 28 | 1 << 27, ..entry(1, 0) };
        vec![maker, basic, entry(7, 0), entry(7, 2), addresses]
    }

    #[test]
    fn the_same_and_more_are_enough() {
        let mut more = processor();
        more[1].ecx = 1 << 28 | 1 << 12;
        more[2].ebx = u32::MAX;
        more[4].eax = 0x3934;
        assert_eq!(differ(&processor(), &processor()), Ok(()));
        assert_eq!(differ(&processor(), &more), Ok(()), "what a kernel has turned on is no feature");
    }

    #[test]
    fn what_is_missing_is_named() {
        let lacks = |words: &str| Err(OtherProcessor::Lacks(words.to_owned()));
        let less = |change: fn(&mut [kvm_cpuid_entry2])| {
            let mut told = processor();
            change(&mut told);
            differ(&told, &processor())
        };
        assert_eq!(less(|told| told[2].ebx = 1 << 16), lacks("`avx512f`"));
        assert_eq!(less(|told| told[2].edx = 1), lacks("bit 0 of Edx in leaf 0x7, 0 of CPUID"));
        assert_eq!(less(|told| told[3].edx = 1 << 5), lacks("bit 5 of Edx in leaf 0x7, 2 of CPUID"));
        let shorter = OtherProcessor::Shorter { what: "virtual", theirs: 57, ours: 48 };
        assert_eq!(less(|told| told[4].eax = 0x3930), Err(shorter));
        // Nothing said of a leaf is that it has none of its features.
        assert_eq!(differ(&processor(), &processor()[..1]), lacks("`avx`"));
    }

    #[test]
    fn a_model_is_not_exchanged_for_another() {
        let mut other = processor();
        other[1].eax = 0x00A2_0F12;
        let model = OtherProcessor::Model { theirs: 0x00A2_0F12, ours: 0 };
        assert_eq!(differ(&other, &processor()), Err(model));
    }

    #[test]
    fn what_is_told_in_another_place_or_twice_or_in_another_way_is_refused() {
        let here = processor();
        assert_eq!(is_told_alike(&here, &here), Ok(()));
        assert_eq!(is_told_alike(&here[1..3], &here), Ok(()), "less is told");
        for change in [
            |told: &mut Vec<kvm_cpuid_entry2>| told[1].index = 1,
            |told: &mut Vec<kvm_cpuid_entry2>| told[1].flags = 1,
            |told: &mut Vec<kvm_cpuid_entry2>| told.push(told[1]),
            |told: &mut Vec<kvm_cpuid_entry2>| told[1].function = 0xA,
        ] {
            let mut told = processor();
            change(&mut told);
            assert!(matches!(is_told_alike(&told, &here), Err(OtherProcessor::Told(1 | 0xA))));
        }
    }

    #[test]
    fn every_name_stands_behind_its_bit() {
        for (leaf, _, register, names) in FEATURES {
            let words: Vec<&str> = names.split_whitespace().collect();
            for pair in words.chunks(2) {
                let bit: u32 = pair[0].parse().unwrap();
                assert!(bit < 32 && pair[1].parse::<u32>().is_err(), "{leaf:#x} {register:?}: {pair:?}");
                assert_eq!(name(bit, names), Some(pair[1]));
            }
        }
        assert_eq!(name(31, "3 pku"), None);
    }

    #[test]
    fn another_maker_is_said_whatever_its_name() {
        let mut other = processor();
        other[0].ecx = u32::from_le_bytes(*b"\x1B[2J");
        let said = differ(&other, &processor()).unwrap_err().to_string();
        assert!(said.contains("`Authenti\\u{1b}[2J`") && said.contains("`AuthenticAMD`"), "{said}");
    }
}
