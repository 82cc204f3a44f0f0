//! `_export.json`: what the export holds. Writing it is what makes files part of the export.

use bytes::Bytes;
use endcap_store::Location;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use serde::{Deserialize, Serialize};

use super::ExportError;

/// Name of the commit point below the export's prefix.
pub const POINT_FILE: &str = "_export.json";
const FORMAT: &str = "endcap.events/v1";

/// Offsets from `from` to before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    pub from: u64,
    pub to: u64,
}

/// What an export holds. Its files are those under `date=*/` whose range ends at `exported_offset` at the latest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// `endcap.events/v1`
    pub format: String,
    /// The log whose offsets these are.
    pub log_id: String,
    /// The first event that the export holds.
    pub first_offset: u64,
    /// The first event that it does not hold yet.
    pub exported_offset: u64,
    /// The range whose files are being written. After a crash they are written again, the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Range>,
    /// Events that retention removed before they could be exported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Range>,
}

impl Point {
    pub(super) fn new(log_id: &str, first: u64) -> Self {
        Self {
            format: FORMAT.to_owned(),
            log_id: log_id.to_owned(),
            first_offset: first,
            exported_offset: first,
            pending: None,
            lost: Vec::new(),
        }
    }

    /// Reads the point of an export; `None` where there is no export yet.
    pub(super) async fn read(from: &Location) -> Result<Option<(Self, UpdateVersion)>, ExportError> {
        let path = from.at(POINT_FILE);
        let failed = |source| ExportError::Read { object: path.to_string(), source };
        let answer = match from.store.get(&path).await {
            Ok(answer) => answer,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let version = UpdateVersion { e_tag: answer.meta.e_tag.clone(), version: answer.meta.version.clone() };
        let bytes = answer.bytes().await.map_err(failed)?;
        let broken = |why: String| ExportError::Broken { object: path.to_string(), why };
        let point: Self = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if point.format != FORMAT {
            return Err(broken(format!("its format is {:?}, this program reads {FORMAT:?}", point.format)));
        }
        Ok(Some((point, version)))
    }

    /// Writes the point, unless somebody else did since `before` was read. Stores that cannot compare (files) are written to at once:
    /// there the log's own lock keeps others away.
    pub(super) async fn write(
        &self,
        to: &Location,
        before: Option<UpdateVersion>,
    ) -> Result<UpdateVersion, ExportError> {
        let path = to.at(POINT_FILE);
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| ExportError::Encode(error.to_string()))?;
        json.push(b'\n');
        let payload = PutPayload::from_bytes(Bytes::from(json));
        let put = |mode: PutMode| {
            let options = PutOptions { mode, ..PutOptions::default() };
            to.store.put_opts(&path, payload.clone(), options)
        };
        let result = match before {
            None => put(PutMode::Create).await,
            Some(before) => match put(PutMode::Update(before)).await {
                Err(object_store::Error::NotImplemented { .. }) => put(PutMode::Overwrite).await,
                result => result,
            },
        };
        match result {
            Ok(written) => Ok(written.into()),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Err(ExportError::Conflict { uri: to.uri.clone() })
            }
            Err(source) => Err(ExportError::Write { object: path.to_string(), source }),
        }
    }
}
