//! Who keeps a bucket, in the words that help with it: each has variables of its own.

use std::env;

/// What to look at.
pub(super) struct Keeper {
    /// How the names of its buckets begin.
    scheme: &'static str,
    /// Any of these says who asks.
    says_who: &'static [&'static str],
    /// No such bucket.
    pub(super) missing: &'static str,
    /// It does not want us.
    pub(super) denied: &'static str,
    /// It says something that means nothing here.
    pub(super) odd: &'static str,
    /// Nobody says who asks.
    nobody: &'static str,
    /// It cannot be reached.
    unreached: &'static str,
    /// What is said of it makes no sense.
    pub(super) nonsense: Option<&'static str>,
}

const KEEPERS: [Keeper; 3] = [
    Keeper {
        scheme: "s3://",
        says_who: &["AWS_ACCESS_KEY_ID"],
        missing: "buckets are made by those who keep them; `--endpoint`, or AWS_ENDPOINT_URL, says who that is, and AWS_REGION where",
        denied: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, where one was given) say who asks: look at \
                 them, and at what this one may do there",
        odd: "AWS_REGION says in which region a bucket is, and `--endpoint`, or AWS_ENDPOINT_URL, who keeps it",
        nobody: "nobody says who asks: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY do, or AWS_SKIP_SIGNATURE=true for a bucket \
                 that is open to all",
        unreached: "`--endpoint`, or AWS_ENDPOINT_URL, says who keeps the bucket; what was sent or fetched is kept, and goes on from there",
        nonsense: None,
    },
    Keeper {
        scheme: "gs://",
        says_who: &[
            "GOOGLE_SERVICE_ACCOUNT",
            "GOOGLE_SERVICE_ACCOUNT_PATH",
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_BEARER_TOKEN",
        ],
        missing: "buckets are made by those who keep them; `--endpoint`, or GOOGLE_BASE_URL, says who that is, if it is not Google",
        denied: "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT names the file that says who asks: look at it, and at what \
                 this one may do there",
        odd: "`--endpoint`, or GOOGLE_BASE_URL, says who keeps the bucket, if it is not Google",
        nobody: "nobody says who asks: GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT does, a file; or \
                 GOOGLE_SKIP_SIGNATURE=true, where a bucket that is open to all is read",
        unreached: "`--endpoint`, or GOOGLE_BASE_URL, says who keeps the bucket, if it is not Google; what was sent or fetched is kept, \
                    and goes on from there",
        nonsense: Some("GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT names a file that says who asks"),
    },
    Keeper {
        scheme: "az://",
        says_who: &[
            "AZURE_STORAGE_ACCOUNT_KEY",
            "AZURE_STORAGE_ACCESS_KEY",
            "AZURE_STORAGE_SAS_KEY",
            "AZURE_STORAGE_SAS_TOKEN",
            "AZURE_STORAGE_TOKEN",
            "AZURE_CLIENT_ID",
            "AZURE_STORAGE_CLIENT_ID",
        ],
        missing: "containers are made by those whose account it is; AZURE_STORAGE_ACCOUNT_NAME says which",
        denied: "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or AZURE_CLIENT_ID, AZURE_TENANT_ID \
                 and AZURE_CLIENT_SECRET say who asks: look at them, and at what this one may do there",
        odd: "AZURE_STORAGE_ACCOUNT_NAME says in which account a container is, and `--endpoint`, or AZURE_STORAGE_ENDPOINT, who keeps it",
        nobody: "nobody says who asks: AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN does, or AZURE_SKIP_SIGNATURE=true for a \
                 container that is open to all",
        unreached: "AZURE_STORAGE_ACCOUNT_NAME says in which account a container is, and `--endpoint`, or AZURE_STORAGE_ENDPOINT, who \
                    keeps it; what was sent or fetched is kept, and goes on from there",
        nonsense: Some(
            "AZURE_STORAGE_ACCOUNT_NAME says in which account a container is, and AZURE_STORAGE_ACCOUNT_KEY who asks",
        ),
    },
];

impl Keeper {
    /// Whose a place is that messages call so.
    pub(super) fn of(place: &str) -> &'static Keeper {
        KEEPERS.iter().find(|keeper| place.starts_with(keeper.scheme)).unwrap_or(&KEEPERS[0])
    }

    /// It gave no answer that means anything: perhaps because nobody says who asks.
    pub(super) fn silent(&self) -> &'static str {
        let is_said = self.says_who.iter().any(|name| env::var_os(name).is_some());
        if is_said { self.unreached } else { self.nobody }
    }
}
