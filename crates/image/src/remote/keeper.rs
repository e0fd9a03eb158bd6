//! Who keeps a bucket: Amazon or who speaks as it does, Google, Azure, or this host.
//!
//! Each is told what the environment says, in the names that it is known by there, and asks over our own [`Wire`]. That none
//! of it is nonsense is found out here, before anybody is asked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use ureq::http::Uri;

use crate::remote::bucket::Settings;
use crate::remote::pieces::{Directory, TakesPieces};
use crate::remote::wire::{Wire, is_yes};
use crate::remote::{BucketError, BucketPlace};

/// A bucket's keeper, told how to ask.
pub(super) struct Keeper {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// The same, where objects are large.
    pub(super) pieces: Arc<dyn TakesPieces>,
    /// The folder that everything is in.
    pub(super) folder: Path,
    /// What the bucket is called in messages.
    pub(super) name: String,
}

impl Keeper {
    pub(super) fn of(place: &BucketPlace, settings: &Settings) -> Result<Keeper, BucketError> {
        let told = Told { place, settings };
        match place {
            BucketPlace::S3 { bucket, folder } => told.amazon(bucket, folder),
            BucketPlace::Google { bucket, folder } => told.google(bucket, folder),
            BucketPlace::Azure { container, folder } => told.azure(container, folder),
            BucketPlace::Directory(path) => {
                let name = place.to_string();
                if !path.is_dir() {
                    return Err(BucketError::NoBucket { place: name });
                }
                let opened = LocalFileSystem::new_with_prefix(path);
                let opened = opened.map_err(|error| BucketError::of(&name, "open what there is".to_owned(), error))?;
                let pieces = Arc::new(Directory::new(opened.clone()));
                Ok(Keeper { objects: Arc::new(opened.with_fsync(true)), pieces, folder: Path::default(), name })
            }
        }
    }
}

/// What is said of a bucket.
struct Told<'a> {
    place: &'a BucketPlace,
    settings: &'a Settings,
}

impl Told<'_> {
    fn amazon(&self, bucket: &str, folder: &Path) -> Result<Keeper, BucketError> {
        let builder = AmazonS3Builder::new().with_bucket_name(bucket);
        let mut builder =
            self.said("AWS_")?.into_iter().fold(builder, |builder, (key, value)| builder.with_config(key, value));
        if let Some(endpoint) = &self.settings.endpoint {
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        let said = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
        let name = self.name(said.iter().find_map(|key| builder.get_config_value(key)).as_deref())?;
        let is_plain = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
        let builder = builder.with_http_connector(self.wire(is_plain, "AWS_ALLOW_HTTP")).with_retry(self.retry());
        opened(builder.build(), folder, name)
    }

    fn google(&self, bucket: &str, folder: &Path) -> Result<Keeper, BucketError> {
        let allow_http = GoogleConfigKey::Client(ClientConfigKey::AllowHttp);
        // What builds it would rather speak without TLS to anybody.
        let builder = GoogleCloudStorageBuilder::new().with_config(allow_http, "false");
        let mut builder =
            self.said("GOOGLE_")?.into_iter().fold(builder, |builder, (key, value)| builder.with_config(key, value));
        if let Some(endpoint) = &self.settings.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl);
        let name = self.name(endpoint.as_deref())?;
        if let Some(endpoint) = endpoint {
            builder = builder.with_base_url(endpoint.trim_end_matches('/'));
        }
        let wire = self.wire(builder.get_config_value(&allow_http), "GOOGLE_ALLOW_HTTP");
        opened(
            builder.with_bucket_name(bucket).with_http_connector(wire).with_retry(self.retry()).build(),
            folder,
            name,
        )
    }

    fn azure(&self, container: &str, folder: &Path) -> Result<Keeper, BucketError> {
        let mut builder = MicrosoftAzureBuilder::new();
        // How a container in Azure is told whom to ask who it is.
        if let Some((_, endpoint)) = self.settings.variables.iter().find(|(name, _)| name == "IDENTITY_ENDPOINT") {
            builder = builder.with_msi_endpoint(endpoint);
        }
        builder =
            self.said("AZURE_")?.into_iter().fold(builder, |builder, (key, value)| builder.with_config(key, value));
        if let Some(endpoint) = &self.settings.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let value = |key| builder.get_config_value(&key);
        let says = |key, what: &str| value(key).is_some_and(|value| is_yes(&value) || value == what);
        if says(AzureConfigKey::UseAzureCli, "") || says(AzureConfigKey::CredentialType, "azure_cli") {
            return Err(self.nonsense("no other program is started to ask who we are, so not `az` either".to_owned()));
        }
        let endpoint = value(AzureConfigKey::Endpoint);
        if endpoint.is_some() && says(AzureConfigKey::UseEmulator, "") {
            let both =
                "AZURE_STORAGE_USE_EMULATOR has another one asked than the endpoint does: one of them is too much";
            return Err(self.nonsense(both.to_owned()));
        }
        let name = self.name(endpoint.as_deref())?;
        let is_plain = value(AzureConfigKey::Client(ClientConfigKey::AllowHttp));
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        let wire = self.wire(is_plain, "AZURE_ALLOW_HTTP");
        let builder = builder.with_container_name(container).with_http_connector(wire).with_retry(self.retry());
        opened(builder.build(), folder, name)
    }

    /// What the environment says, as far as it means something to this keeper.
    fn said<K: FromStr>(&self, begins: &str) -> Result<Vec<(K, String)>, BucketError> {
        let mut said = Vec::new();
        for (name, value) in &self.settings.variables {
            if !name.starts_with(begins) || value.is_empty() {
                continue;
            }
            // By the time that it is given to connect, the line knows who is asked for who we are.
            if name.ends_with("_CONNECT_TIMEOUT") {
                continue;
            }
            let Ok(key) = name.to_ascii_lowercase().parse::<K>() else { continue };
            // The one that is a document is read, and never sent as it stands.
            let is_document = name.ends_with("SERVICE_ACCOUNT_KEY");
            if !is_document && !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                return Err(self.nonsense(format!("{name} has letters that nobody could be asked with")));
            }
            said.push((key, value.clone()));
        }
        Ok(said)
    }

    fn name(&self, endpoint: Option<&str>) -> Result<String, BucketError> {
        match endpoint {
            Some(endpoint) if is_address(endpoint) => Ok(format!("{} at {endpoint}", self.place)),
            // Which may have a password in it.
            Some(_) => Err(self.nonsense(
                "the endpoint is no address: expected `https://HOST`, with a port where it needs one, and nothing else"
                    .to_owned(),
            )),
            None => Ok(self.place.to_string()),
        }
    }

    fn nonsense(&self, what: String) -> BucketError {
        BucketError::Setting { place: self.place.to_string(), source: what.into() }
    }

    fn wire(&self, is_plain: Option<String>, plain_by: &'static str) -> Wire {
        Wire { patience: self.settings.patience, is_plain: is_plain.is_some_and(|word| is_yes(&word)), plain_by }
    }

    /// The line asks again what may pass. What is left are words of error in an answer that is otherwise good.
    fn retry(&self) -> RetryConfig {
        let max_backoff = self.settings.patience.pause;
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff, base: 2. };
        RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(600) }
    }
}

fn opened<T: ObjectStore + TakesPieces>(
    built: Result<T, impl fmt::Display>,
    folder: &Path,
    name: String,
) -> Result<Keeper, BucketError> {
    match built {
        Ok(built) => {
            let built = Arc::new(built);
            Ok(Keeper { objects: built.clone(), pieces: built, folder: folder.clone(), name })
        }
        // What is around it repeats it.
        Err(error) => Err(BucketError::Setting { place: name, source: error.to_string().into() }),
    }
}

/// Whether this says whom to ask, and nothing else: what asks takes that for granted.
fn is_address(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_host =
        uri.authority().is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    is_known && is_host && uri.query().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Patience;
    use crate::remote::Bucket;

    fn open(variables: &[(&str, &str)], endpoint: Option<&str>) -> Result<String, String> {
        open_at("images", variables, endpoint)
    }

    fn open_at(place: &str, variables: &[(&str, &str)], endpoint: Option<&str>) -> Result<String, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let endpoint = endpoint.map(str::to_owned);
        let settings = Settings { variables, endpoint, patience: Patience::default(), parallel: 1 };
        let opened = Bucket::open(&place.parse().unwrap(), &settings);
        opened.map(|bucket| bucket.place().to_owned()).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", cause.unwrap_or_default())
        })
    }

    #[test]
    fn what_is_said_about_a_bucket_makes_sense_or_is_named() {
        let key = ("AWS_ACCESS_KEY_ID", "k");
        let keys = [key, ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_ENDPOINT_URL", "https://one.example")];
        assert_eq!(open(&keys, None).unwrap(), "s3://images at https://one.example");
        assert_eq!(open(&keys, Some("http://[::1]:9000/path")).unwrap(), "s3://images at http://[::1]:9000/path");
        assert_eq!(open(&[("AWS_ENDPOINT_URL", ""), ("AWS_UNHEARD_OF", "x")], None).unwrap(), "s3://images");
        for endpoint in
            ["nonsense", "localhost:9000", "ftp://x", "https://", "https://u:secret@x", "https://x y", "https://x?y"]
        {
            let error = open(&keys, Some(endpoint)).unwrap_err();
            assert!(
                error.contains("makes no sense") && error.contains("expected `https://HOST`"),
                "{endpoint}: {error}"
            );
        }
        let newline = [key, ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "a\nsecret")];
        for (variables, says) in [
            (&newline[..], "AWS_SESSION_TOKEN has letters"),
            (&[key], "Missing SecretAccessKey"),
            (&[keys[0], keys[1], ("AWS_SKIP_SIGNATURE", "perhaps")], "perhaps"),
        ] {
            let error = open(variables, None).unwrap_err();
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn google_and_azure_are_told_by_variables_of_their_own() {
        let (token, account) = (("GOOGLE_BEARER_TOKEN", "t"), ("AZURE_STORAGE_ACCOUNT_NAME", "a"));
        let (key, amazons) = (("AZURE_STORAGE_ACCOUNT_KEY", "czM="), ("AWS_ENDPOINT_URL", "https://s3.example"));
        let google = [token, amazons, ("GOOGLE_BASE_URL", "https://one.example")];
        let azure = [account, key, amazons, ("AZURE_STORAGE_ENDPOINT", "https://one.example/")];
        let here = Some("http://127.0.0.1:1/x/");
        for (place, variables, endpoint, name) in [
            ("gs://images/f", &[token, amazons][..], None, "gs://images/f"),
            ("gs://images", &google, None, "gs://images at https://one.example"),
            ("gs://images", &google, here, "gs://images at http://127.0.0.1:1/x/"),
            ("az://images/f", &[account, key, amazons], None, "az://images/f"),
            ("az://images", &azure, None, "az://images at https://one.example/"),
            ("az://images", &azure, here, "az://images at http://127.0.0.1:1/x/"),
            ("az://images", &[("AZURE_STORAGE_USE_EMULATOR", "true")], None, "az://images"),
        ] {
            assert_eq!(open_at(place, variables, endpoint).unwrap(), name, "{variables:?}");
        }
        let document = "{\n \"private_key\": \"secret\"\n}";
        for (place, variables, says) in [
            ("gs://images", &[("GOOGLE_BEARER_TOKEN", "a\nsecret")][..], "GOOGLE_BEARER_TOKEN has letters"),
            ("gs://images", &[("GOOGLE_SERVICE_ACCOUNT_KEY", document)], "missing field"),
            ("gs://images", &[("GOOGLE_SERVICE_ACCOUNT", "/no/such/file")], "/no/such/file"),
            ("gs://images", &[token, ("GOOGLE_BASE_URL", "https://u:secret@x")], "expected `https://HOST`"),
            ("az://images", &[key], "Account must be specified"),
            ("az://images", &[account, ("AZURE_STORAGE_ACCOUNT_KEY", "no secret!")], "Invalid Access Key"),
            ("az://images", &[account, ("AZURE_USE_AZURE_CLI", "true")], "no other program is started"),
            ("az://images", &[account, ("AZURE_CREDENTIAL_TYPE", "azure_cli")], "no other program is started"),
            ("az://images", &[("AZURE_STORAGE_USE_EMULATOR", "1"), azure[3]], "one of them is too much"),
        ] {
            let error = open_at(place, variables, None).unwrap_err();
            assert!(error.contains(says) && !error.contains("secret"), "{variables:?}: {error}");
        }
    }
}
