"""A link to a pinned revision leads somewhere, and runs nothing that somebody has published."""

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi

from tests.support.local_hub import LocalHub

NAME = 'weights/<script>alert("x")</script>.txt'


def published(api: HfApi, repo_id: str) -> str:
    """Return a commit with two files."""
    files = [CommitOperationAdd("NOTES.md", b"# notes\n"), CommitOperationAdd(NAME, b"1234")]
    return str(api.create_commit(repo_id, files, commit_message="two files").oid)


def test_a_revision_is_a_page_of_its_files(api: HfApi, repo_id: str, raw: httpx2.Client) -> None:
    """With their sizes, and links to what they hold at this very commit."""
    commit = published(api, repo_id)
    page = raw.get(f"/{repo_id}/tree/{commit}")

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f'<a href="/{repo_id}/resolve/{commit}/NOTES.md">NOTES.md</a>' in page.text
    assert "8 bytes" in page.text
    assert raw.get(f"/{repo_id}/resolve/{commit}/NOTES.md").text == "# notes\n"


def test_names_are_words_on_the_page_and_nothing_else(
    api: HfApi, repo_id: str, raw: httpx2.Client
) -> None:
    """Whoever may publish chooses them."""
    page = raw.get(f"/{repo_id}/tree/{published(api, repo_id)}")

    assert "<script>" not in page.text
    assert "sandbox" in page.headers["content-security-policy"]


def test_the_usual_address_of_a_file_leads_to_it(
    api: HfApi, repo_id: str, raw: httpx2.Client
) -> None:
    """As a card links what it speaks of."""
    commit = published(api, repo_id)
    answer = raw.get(f"/{repo_id}/blob/{commit}/NOTES.md", follow_redirects=True)

    assert (answer.status_code, answer.text) == (200, "# notes\n")


def test_a_page_of_what_is_private_is_not_there_for_others(hub: LocalHub, api: HfApi) -> None:
    """As everything else of it."""
    api.create_repo("acme/hidden", private=True)
    commit = published(api, "acme/hidden")
    with httpx2.Client(base_url=hub.endpoint, trust_env=False) as anybody:
        for address in (f"tree/{commit}", f"blob/{commit}/NOTES.md"):
            assert anybody.get(f"/acme/hidden/{address}").status_code == 401


def test_a_revision_that_is_not_there_is_said(repo_id: str, raw: httpx2.Client) -> None:
    """As the client is told."""
    assert raw.get(f"/{repo_id}/tree/nowhere").status_code == 404
