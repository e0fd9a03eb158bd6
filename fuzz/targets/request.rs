//! The body of a request: bytes, a request, its parts, a job. Whatever is sent, it is refused in a few words, or becomes a job
//! that stays within the operator's word.
#![no_main]

use std::num::NonZeroU32;
use std::sync::LazyLock;

use firebox_api::{Parts, Refusal, Request};
use firebox_job::{ByteSize, Job, Policy, TraceId};
use firebox_lang::Catalogue;
use libfuzzer_sys::{Corpus, fuzz_target};

/// However much a client sends, it does not get that much back.
const LONGEST_REFUSAL: usize = 16 << 10;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::builtin);

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let policy = Policy::for_host(NonZeroU32::new(4).unwrap(), ByteSize::gib(8));
    match made(bytes, &policy) {
        Ok(None) => Corpus::Keep,
        Ok(Some(job)) => {
            look_at(&job, &policy);
            Corpus::Keep
        }
        Err(refusal) => {
            let told = serde_json::to_string(&refusal).expect("a refusal is JSON");
            assert!(told.len() <= LONGEST_REFUSAL, "{} bytes: {}", told.len(), &told[..200.min(told.len())]);
            Corpus::Keep
        }
    }
});

/// None where there is no such language, which is told apart from what is malformed.
fn made(bytes: &[u8], policy: &Policy) -> Result<Option<Job>, Refusal> {
    let parts = Parts::try_from(Request::from_json(bytes)?)?;
    let language = match CATALOGUE.find(&parts.language) {
        Ok(language) => language,
        Err(unknown) => {
            assert!(unknown.to_string().len() <= LONGEST_REFUSAL, "{unknown}");
            return Ok(None);
        }
    };
    let trace_id = parts.trace_id.clone().unwrap_or_else(|| TraceId::from_random([7; 16]));
    let (job, _stdin) = parts.into_job(language.entry(), policy, trace_id)?;
    Ok(Some(job))
}

fn look_at(job: &Job, policy: &Policy) {
    let (granted, ceiling) = (&job.limits, &policy.ceiling);
    assert!(granted.timeout <= ceiling.timeout && granted.compile <= ceiling.compile, "{granted:?}");
    assert!(granted.run <= ceiling.run && granted.cpu <= ceiling.cpu, "{granted:?}");
    assert!(granted.memory <= ceiling.memory && granted.disk <= ceiling.disk, "{granted:?}");
    assert!(granted.tasks <= ceiling.tasks && granted.vcpus <= ceiling.vcpus, "{granted:?}");
    assert!(granted.output <= ceiling.output && granted.input <= ceiling.input, "{granted:?}");
    for file in job.sources.files() {
        let path = file.path.as_str();
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        assert!(path.split('/').all(is_plain), "{path:?}");
    }
    for text in job.args.iter().chain(job.env.keys()).chain(job.env.values()) {
        assert!(!text.contains('\0'), "{text:?}");
    }
}
