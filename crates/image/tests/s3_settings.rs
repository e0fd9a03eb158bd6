//! What the environment says of S3 arrives where it is meant to, and nowhere else: a real server, with a doorman before it who reads what
//! questions begin with. Of Google it is looked at what a machine is told there by its metadata, since that is nearly the same.

mod kit;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use firebox_image::{Bucket, ImageName, OciLayout, Patience, Platform, Record, Settings, Store};
use kit::doorman::{Answer, Doorman, Head};
use kit::google::LikeGoogle;
use kit::layout::Layout;
use kit::s3::RealS3;
use kit::{chain, has, skipped, take};

const BUCKET: &str = "images";
/// What those say who know who we are: it has to be shown with each question.
const TOKEN: &str = "a-token-of-a-session";

fn name() -> ImageName {
    "x".parse().unwrap()
}

/// An image in a store, and another store that has nothing.
struct Place {
    directory: tempfile::TempDir,
    here: Store,
    record: Record,
}

impl Place {
    fn new() -> Place {
        let directory = kit::workshop();
        let layout = Layout::new(directory.path().join("oci"));
        layout.call(&layout.image(&Platform::of_this_host().architecture), "x");
        let here = kit::store(directory.path());
        let record = take(&here, &OciLayout::directory(layout.path(), None).unwrap(), "x").unwrap();
        Place { directory, here, record }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A server with a bucket, and a doorman before it.
    fn served(&self, start: impl Fn(&Path) -> Option<RealS3>) -> Option<(RealS3, Doorman)> {
        let s3 = start(self.path())?;
        s3.make_bucket(BUCKET);
        let doorman = Doorman::start(&s3.host, |_| None);
        Some((s3, doorman))
    }

    /// Sends the image there and fetches it again.
    fn travel(&self, variables: &[(&str, &str)]) -> Result<(), String> {
        self.travel_by(BUCKET, variables)
    }

    fn travel_by(&self, bucket: &str, variables: &[(&str, &str)]) -> Result<(), String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let patience =
            Patience { silence: Duration::from_secs(60), tries: 2, pause: Duration::from_millis(20), rate: 8 << 10 };
        let settings = Settings { variables, endpoint: None, patience, parallel: 2 };
        let bucket = Bucket::open(&bucket.parse().unwrap(), &settings).map_err(|error| chain(&error))?;
        bucket.upload(&self.here, &name(), false, &|_| ()).map_err(|error| chain(&error))?.unwrap();
        let other = tempfile::tempdir_in(self.path()).unwrap();
        let there = Store::open(&other.path().join("store"), None).unwrap();
        let fetched = bucket.download(&there, &name(), None, &|_| ()).map_err(|error| chain(&error))?;
        assert_eq!(fetched, self.record);
        Ok(())
    }
}

fn at(host: &str) -> String {
    format!("http://{host}")
}

/// Each question is signed by the key, and shows the token so that nobody can take it off.
fn assert_signed(heard: &[Head]) {
    assert!(5 < heard.len(), "{heard:?}");
    for head in heard {
        let signature = head.header("authorization").unwrap_or_else(|| panic!("not signed: {head:?}"));
        assert!(signature.contains(&format!("Credential={}/", RealS3::KEY)), "{signature}");
        assert!(signature.contains("x-amz-security-token"), "{signature}");
        assert_eq!(head.header("x-amz-security-token"), Some(TOKEN), "{head:?}");
    }
}

/// As the metadata of clouds and the agents of containers say it.
fn credentials() -> String {
    let (key, secret) = (RealS3::KEY, RealS3::SECRET);
    format!(
        r#"{{"AccessKeyId":"{key}","SecretAccessKey":"{secret}","Token":"{TOKEN}","Expiration":"2199-01-01T00:00:00Z"}}"#
    )
}

#[test]
fn a_session_is_shown_with_each_question() {
    let place = Place::new();
    let Some((_s3, doorman)) = place.served(RealS3::start) else { return };
    let endpoint = at(&doorman.host);
    let keys = [
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", RealS3::KEY),
        ("AWS_SECRET_ACCESS_KEY", RealS3::SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
    ];
    place.travel(&keys).unwrap();
    assert_signed(&doorman.heard());
}

#[test]
fn nobody_signs_nothing() {
    let place = Place::new();
    let Some((_s3, doorman)) = place.served(RealS3::start_for_all) else { return };
    place.travel(&[("AWS_ENDPOINT_URL", &at(&doorman.host)), ("AWS_SKIP_SIGNATURE", "true")]).unwrap();
    let heard = doorman.heard();
    assert!(5 < heard.len(), "{heard:?}");
    for head in &heard {
        for shown in ["authorization", "x-amz-security-token"] {
            assert_eq!(head.header(shown), None, "{head:?}");
        }
        assert!(!head.said.contains("X-Amz-"), "{head:?}");
    }
}

const ROLE: &str = "a-role";
const METADATA: &str = "a-token-of-metadata";

/// The metadata of a cloud, in the way that asks for a token first.
fn metadata(head: &mut Head) -> Option<Answer> {
    let path = "/latest/meta-data/iam/security-credentials/";
    let knows = head.header("x-aws-ec2-metadata-token") == Some(METADATA);
    let (status, text) = match head.said.as_str() {
        "PUT /latest/api/token" if head.header("x-aws-ec2-metadata-token-ttl-seconds").is_some() => {
            (200, METADATA.to_owned())
        }
        said if knows && said == format!("GET {path}") => (200, ROLE.to_owned()),
        said if knows && said == format!("GET {path}{ROLE}") => (200, credentials()),
        _ => (404, String::new()),
    };
    Some((status, text))
}

/// The same of Google.
fn googles_metadata(head: &mut Head) -> Option<Answer> {
    let is_token = head.said.starts_with("GET /computeMetadata/v1/instance/service-accounts/default/token");
    let is_told = is_token && head.header("metadata-flavor") == Some("Google");
    let token = LikeGoogle::TOKEN;
    is_told.then(|| (200, format!(r#"{{"access_token":"{token}","expires_in":3600,"token_type":"Bearer"}}"#)))
}

#[test]
fn a_machine_is_who_its_clouds_metadata_says() {
    let place = Place::new();
    let Some((_s3, doorman)) = place.served(RealS3::start) else { return };
    let knows = Doorman::start("nobody", metadata);
    place.travel(&[("AWS_ENDPOINT_URL", &at(&doorman.host)), ("AWS_METADATA_ENDPOINT", &at(&knows.host))]).unwrap();
    assert_signed(&doorman.heard());
    assert_eq!(knows.heard().len(), 3, "it is asked once: {:?}", knows.heard());
}

#[test]
fn a_container_is_who_its_agent_says() {
    let place = Place::new();
    let Some((_s3, doorman)) = place.served(RealS3::start) else { return };
    let file = place.path().join("token");
    std::fs::write(&file, "a-token-of-a-pod").unwrap();
    let knows = Doorman::start("nobody", |head| {
        let is_pod = head.said == "GET /v1/credentials" && head.header("authorization") == Some("a-token-of-a-pod");
        Some(if is_pod { (200, credentials()) } else { (403, String::new()) })
    });
    let travel = |agent: &str| {
        let (endpoint, uri) = (at(&doorman.host), format!("{}/v1/credentials", at(agent)));
        place.travel(&[
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", kit::text(&file)),
        ])
    };
    // Who is far is not told the pod's token without TLS.
    let error = travel("192.0.2.1").unwrap_err();
    assert!(error.contains("`192.0.2.1` is not spoken to without TLS"), "{error}");
    travel(&knows.host).unwrap();
    assert_signed(&doorman.heard());
    assert_eq!(knows.heard().len(), 1, "it is asked once: {:?}", knows.heard());
}

#[test]
fn who_has_a_web_identity_is_the_role_that_is_given_for_it() {
    let place = Place::new();
    let Some((_s3, doorman)) = place.served(RealS3::start) else { return };
    let file = place.path().join("token");
    std::fs::write(&file, "a-token-of-the-web").unwrap();
    let knows = Doorman::start("nobody", |head| {
        let says = ["Action=AssumeRoleWithWebIdentity", "WebIdentityToken=a-token-of-the-web", "RoleArn=arn"];
        let is_it = head.said.starts_with("POST /") && says.iter().all(|word| head.said.contains(word));
        let (key, secret) = (RealS3::KEY, RealS3::SECRET);
        let answer = format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{TOKEN}</SessionToken>\
             <Expiration>2199-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>"
        );
        Some(if is_it { (200, answer) } else { (403, String::new()) })
    });
    let told = [
        ("AWS_ENDPOINT_URL_S3", at(&doorman.host)),
        ("AWS_ENDPOINT_URL_STS", at(&knows.host)),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", kit::text(&file).to_owned()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x".to_owned()),
    ];
    place.travel(&told.each_ref().map(|(name, value)| (*name, value.as_str()))).unwrap();
    assert_signed(&doorman.heard());
    assert_eq!(knows.heard().len(), 1, "it is asked once: {:?}", knows.heard());
}

/// Where a container of Amazon's asks who it is, one of Kubernetes there, and a machine: addresses that lead no further than the next wire.
const NEAR: [&str; 3] = ["169.254.170.2", "169.254.170.23", "169.254.169.254"];
/// A host that is not this one as far as its name says.
const DOMAIN: &str = "s3.example";

#[test]
fn addresses_and_names_mean_what_they_mean_in_a_cloud() {
    if !RealS3::may_be() || !has(&["unshare", "ip", "mount"]) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        skipped("a network of its own, with other names in it, takes root");
        return;
    }
    let directory = kit::workshop();
    let hosts = directory.path().join("hosts");
    let names = format!("127.0.0.1 localhost {DOMAIN} {BUCKET}.{DOMAIN}\n{} metadata.google.internal\n", NEAR[2]);
    std::fs::write(&hosts, names).unwrap();
    let addresses = NEAR.map(|address| format!("ip address add {address}/32 dev lo; ")).concat();
    let script = format!("ip link set lo up; {addresses}mount --bind \"$0\" /etc/hosts; exec \"$@\"");
    let output = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-ec", &script, kit::text(&hosts)])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_cloud", "--ignored", "--nocapture"])
        // Whom nobody asks who we are: there is nobody there.
        // Where a login at Google would be.
        .env("HOME", directory.path())
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("NO_PROXY", format!(".{DOMAIN},{DOMAIN}"))
        .output()
        .unwrap();
    let says = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && says.contains("1 passed"), "{says}");
}

/// Run by the test above, in a network of its own.
#[test]
#[ignore = "another test runs it in a network of its own"]
fn in_a_cloud() {
    let place = Place::new();
    let (_s3, doorman) = place.served(RealS3::start).unwrap();
    let endpoint = at(&doorman.host);
    let endpoint = ("AWS_ENDPOINT_URL", endpoint.as_str());
    let token = place.path().join("token");
    std::fs::write(&token, "t").unwrap();

    // A container has a path at one address, a pod a whole one, a machine nothing.
    let [container, pod, machine] = NEAR.map(|address| format!("{address}:80"));
    let agent = Doorman::start_at(&container, "nobody", |_| Some((200, credentials())));
    place.travel(&[endpoint, ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1")]).unwrap();
    assert_eq!(agent.heard()[0].said, "GET /v2/credentials/1");
    let agent = Doorman::start_at(&pod, "nobody", |_| Some((200, credentials())));
    let uri = format!("http://{}/v1/credentials", NEAR[1]);
    let told = [
        endpoint,
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", kit::text(&token)),
    ];
    place.travel(&told).unwrap();
    assert_eq!(agent.heard().len(), 1);
    let agent = Doorman::start_at(&machine, "nobody", |head| googles_metadata(head).or_else(|| metadata(head)));
    place.travel(&[endpoint]).unwrap();
    assert_eq!(agent.heard().len(), 3);
    assert_signed(&doorman.heard());

    let folder = tempfile::tempdir_in(place.path()).unwrap();
    let google = LikeGoogle::start(folder.path()).unwrap();
    google.make_bucket(BUCKET);
    place.travel_by(&format!("gs://{BUCKET}"), &[("GOOGLE_BASE_URL", &at(&google.host))]).unwrap();
    assert_eq!(agent.heard()[3].header("host"), Some("metadata.google.internal"));

    // The bucket as a host; without TLS only if that is said, since the host is another one by its name.
    let other = tempfile::tempdir_in(place.path()).unwrap();
    let s3 = RealS3::start_below(other.path(), DOMAIN).unwrap();
    s3.make_bucket(BUCKET);
    let doorman = Doorman::start_at("127.0.0.1:80", &s3.host, |_| None);
    let (by_host, by_path) = (format!("http://{BUCKET}.{DOMAIN}"), format!("http://{DOMAIN}"));
    let keys = [("AWS_ACCESS_KEY_ID", RealS3::KEY), ("AWS_SECRET_ACCESS_KEY", RealS3::SECRET)];
    let virtually = [keys[0], keys[1], ("AWS_ENDPOINT_URL", &by_host), ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")];
    let error = place.travel(&virtually).unwrap_err();
    assert!(error.contains("is not spoken to without TLS") && error.contains("AWS_ALLOW_HTTP=true"), "{error}");
    assert!(doorman.heard().is_empty(), "{:?}", doorman.heard());
    let plain = ("AWS_ALLOW_HTTP", "true");
    place.travel(&[&virtually[..], &[plain]].concat()).unwrap();
    let heard = doorman.heard();
    assert!(5 < heard.len(), "{heard:?}");
    for head in &heard {
        assert_eq!(head.header("host"), Some(&*format!("{BUCKET}.{DOMAIN}")), "{head:?}");
        assert!(!head.said.contains(&format!("/{BUCKET}")), "{head:?}");
    }
    place.travel(&[keys[0], keys[1], ("AWS_ENDPOINT_URL", &by_path), plain]).unwrap();
    for head in &doorman.heard()[heard.len()..] {
        assert_eq!(head.header("host"), Some(DOMAIN), "{head:?}");
        assert!(head.said.contains(&format!(" /{BUCKET}")), "{head:?}");
    }
}
